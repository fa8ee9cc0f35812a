"""The chapters of the figures: one file each, with `measure(figures)`."""
