"""Budgets: which strategy may still take a frame, and who pays."""
