"""Is the space language-neutral? What `xformer evaluate --alignment` measures, layer by layer."""
