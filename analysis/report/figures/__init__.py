"""Figures for papers and for the page, as PNG, SVG and PDF, a file each. Only these files import matplotlib, and only a
report imports them.
"""
