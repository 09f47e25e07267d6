"""Checks of behaviour: sentences made from templates, and what a model should say of them."""
