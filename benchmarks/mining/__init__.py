"""How well a run finds translations hidden among other lines, beside baselines without a network.

    xformer bench mining test.de test.en --run runs/demo --dictionary train.de train.en

Pairs are hidden among as many lines of either language that have no partner, the threshold is chosen on one
half of the lines, and precision, recall and F1 are of the other: the definition of BUCC as XTREME has it. All
sides are mined alike, by ratio margins over 4 neighbours, one to one; they differ in their similarities:

- the run's: cosines of its sentence vectors;
- character trigrams: cosines of TF-IDF vectors, which know no language;
- length and dictionary: IBM model 1 and lengths, learned from parallel text that is given.
"""
