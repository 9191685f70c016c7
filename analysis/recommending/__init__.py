"""Which strategy, models, hours and stages to spend a budget on, and which runs would say more. Nothing here fits a
law of its own but over sizes and divisions.
"""
