"""Speech encoders with an objective of their own: one file for each family, of the same name as the file of its
dimensions in `scaling.base_models.encoders`. A family is a value of functions; nothing in this package trains.
"""
