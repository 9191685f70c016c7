"""What a plan or a step costs before it is started: FLOPs, hours, money and disk. Nothing here changes a plan."""
