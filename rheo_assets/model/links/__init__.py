"""Links: how the tips of a node's inputs and its output partition determine and constrain each other."""

from rheo_assets.model.links.linkage import Linkage, Solution
from rheo_assets.model.links.rules import EQUALS, LOWER, OUTPUT, UPPER, Rule, Variable

__all__ = ["EQUALS", "LOWER", "OUTPUT", "UPPER", "Linkage", "Rule", "Solution", "Variable"]
