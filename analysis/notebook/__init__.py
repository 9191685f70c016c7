"""The verbs as functions for notebooks and scripts: `import analysis` offers them, and imports them late."""
