"""Records of studies, with their files, predictions, copies of trials and uses of test splits."""
