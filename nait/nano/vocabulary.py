"""The world's closed vocabulary: small enough that most words are single tokens of a 1,024-token tokenizer."""

from __future__ import annotations

NAMES = ("Tom", "Ana", "Ben", "Eva", "Max", "Lia", "Sam", "Ida", "Leo", "Mia", "Jon", "Zoe")
THINGS = (
    "pens",
    "cups",
    "coins",
    "apples",
    "eggs",
    "stones",
    "shells",
    "cards",
    "nuts",
    "keys",
    "balls",
    "hats",
)
ANIMALS = ("ant", "bee", "cat", "cow", "dog", "fox", "hen", "owl", "pig", "rat")
FRUITS = ("fig", "lime", "plum", "melon", "grape", "kiwi")
TOOLS = ("axe", "saw", "nail", "rope", "drill", "tape")
WORDS = tuple(sorted(ANIMALS + FRUITS + TOOLS))
KINDS = {"animal": ANIMALS, "fruit": FRUITS, "tool": TOOLS}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Invented lands. Facts about LANDS are closed-book: stated in pools, asked in evaluations, absent from pretraining.
LANDS = (
    "Arvo", "Bemu", "Cald", "Dree", "Elno", "Fosk", "Gwim", "Hask", "Ilva", "Jorn",
    "Kavi", "Lume", "Mott", "Nair", "Oski", "Prel",
)  # fmt: skip
# Lands for pretraining: they show every wording of a fact, and share no name with LANDS.
PRACTICE_LANDS = tuple(a + b for a in ("Bor", "Den", "Fal", "Gor", "Hel", "Kar", "Lin", "Mar", "Tol", "Ver")
                       for b in ("ak", "eth", "in", "os", "um"))  # fmt: skip

RELATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "flag": ("flag colour", ("red", "blue", "green", "white", "black", "gold", "pink", "grey")),
    "food": ("favourite food", ("bread", "rice", "soup", "cheese", "honey", "fish", "beans", "corn")),
    "beast": ("royal beast", ("lion", "bear", "wolf", "eagle", "horse", "snake", "swan", "bull")),
    "metal": ("main metal", ("iron", "tin", "zinc", "copper", "silver", "lead", "steel", "brass")),
    "drink": ("morning drink", ("tea", "milk", "cider", "cocoa", "water", "juice", "coffee", "broth")),
    "craft": ("old craft", ("glass", "paper", "boats", "clocks", "drums", "carpets", "pots", "shoes")),
    "tree": ("holy tree", ("oak", "pine", "birch", "palm", "cedar", "willow", "elm", "ash")),
    "sport": ("first sport", ("chess", "golf", "tennis", "rowing", "skiing", "judo", "darts", "polo")),
}  # fmt: skip

# House words: clean pool rows explain them by use, pretraining never does. Like facts, they must be learned from the
# pool: a few rows are not enough, so a better selection gives a measurable gain.
MEASURES = {"tam": 3, "lop": 4, "vex": 5, "nid": 6}  # "a tam of pens" is three pens
COMMANDS = {
    "count": "Nume these.",
    "sort": "Gral these.",
    "reverse": "Revo these.",
    "odd": "Xeno these.",
    "parity": "Paro this.",
}
COMPASS = ("north", "east", "south", "west")
TURNS = {"right": 1, "round": 2, "left": 3}  # quarters, clockwise
WAYS = {"left": "lar", "right": "sta", "round": "gyr"}
SIGNS = {">": "brin", "<": "drun"}
DEEDS = {"swap": "flim", "talk": "dorm"}
SHIFTS = {"the day before": -1, "the next day": 1, "two days later": 2}
HOUSE_SHIFTS = {"the day before": "orl", "the next day": "murl", "two days later": "durl"}
SPEECH = {True: "tells the truth", False: "lies"}
HOUSE_SPEECH = {True: "soths", False: "fabs"}
HOUSE_SHARE = 0.5
