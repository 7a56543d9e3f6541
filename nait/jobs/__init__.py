"""One job: a selector, a target list and a seed, through the stages."""
