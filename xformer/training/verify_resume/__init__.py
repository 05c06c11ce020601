"""A test that a stopped and resumed run gives the same bits as a run that was never stopped."""
