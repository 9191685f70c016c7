"""The miniature base models that ship with the project: how they are made, from nothing, on synthetic speech and text.
A study only reads their directories; nothing here is used in training a recogniser.
"""
