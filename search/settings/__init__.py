"""Study files and options: validation, defaults, and the settings stored with a study."""
