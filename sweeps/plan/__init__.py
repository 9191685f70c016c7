"""From a study to the nodes that its runs share, in the order in which workers should take them, and to plan.json.
Nothing here estimates hours or money, and nothing starts.
"""
