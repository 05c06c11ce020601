"""How good translations are: sacreBLEU's BLEU and chrF++, with signatures, intervals and paired tests."""
