"""`xformer finetune`: a command for each kind of example."""
