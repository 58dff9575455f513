"""How good the models are, measured on labelled pictures."""
