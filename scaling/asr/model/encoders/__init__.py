"""Speech encoders with an objective of their own: one file for each family, of the same name as its row of dimensions
in `scaling.base_models.encoders`. A family is a value of functions; nothing here trains.
"""
