"""Reading studies: tables of trials, overviews, live watching, and checks for inconsistencies."""
