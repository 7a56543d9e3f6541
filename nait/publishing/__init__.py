"""Publishing: a run's scores, ids, directions and adapter as a folder with a card, for others or for the Hub."""
