"""The shape rules of the operators: what a node returns and costs, from what goes into it."""
