"""The strategies that are compared: presets, what a study changes in them, and the rates and batches that follow from
the size of the models or from a search. Nothing here reads files or knows a price.
"""
