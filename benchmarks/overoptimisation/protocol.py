"""How it is measured, in sentences for the page."""

PROTOCOL = (
    "Gold and proxy are counted from the policy before; a unit is a nat of preference, and the gold reward of "
    "answers of the policy before has a standard deviation of 2. Numbers are means over the seeds; curves in the "
    "figure are of the first one, dots are peaks. R^2 is of the gold reward's curve from its first point to its "
    "last.",
    "Gold (benchmarks/overoptimisation/gold.py): of sweet letters there can be too much, of salty ones too little"
    " and too much, and every pair of neighbours is worth something by chance.",
    "A peak at the largest n is none: there the gold reward had not fallen within what was measured. Reward models "
    "of one size differ much from seed to seed.",
    "Reward models learn from the same 32,768 pairs of the policy's answers, 600 updates of 256; which is better "
    "is drawn by Bradley and Terry, so that about 18% of labels are wrong. The policy before has 2 layers of "
    "width 64.",
    "Best-of-n: 1,024 answers to each of 64 held-out prompts, and the unbiased estimator for every n. The KL is "
    "ln n - (n - 1) / n. A seed has its own pairs, labels, answers and reward models; the policy before is one.",
    "PPO: 60 updates of 256 answers, no weight of the KL unless it is said; the KL is that of the answers. Gold "
    "and proxy are of those answers; peaks are of means over 5 updates. One seed.",
    "Ensemble: the mean of five reward models less their standard deviation. Fresh labels: for best-of-n the gold"
    " reward labels 2,048 pairs of answers that the proxy chose from 16 each, and they count four times; as many "
    "old labels is the control, with answers of the policy before. For PPO every 10 updates 2,048 pairs of the "
    "policy of that moment are labelled, and the reward model is trained anew; its proxy is then another one than"
    " before.",
    "Stopping early: n, or the update, is chosen by the gold reward of half of the held-out prompts, and judged "
    "by that of the others. It finds the peak and cannot raise it.",
    "What was tried before: four kinds of letters with slopes 1, .8, .6, 0 (small falls at once, n = 4), three "
    "with one wanted (only width 2 falls), 8,192 pairs (the large model overfits and is no better than the medium"
    " one), PPO with learning rate 3e-4, 512 answers and two epochs (past its peak within four updates). The gold"
    " reward was chosen, by one seed and answers that people write, so that the sizes differ within n = 1,024; "
    "seeds and policy here are others.",
    "One trial of PPO ran to its end, before the settings above were fixed: the small reward model of seed 0, 60 "
    "updates of 256 answers, learning rate 1e-4. The proxy gained 1.28 (deepest dip 0.8%); gold peaked at 1.00, at "
    "sqrt(KL) 1.14, and ended at -3.67, at 3.49; d (a - b ln d) fits with R^2 .984 (a 1.28, b 1.85). The doctor spoke "
    "of reward hacking after 12 updates, and sent back to update 7.",
    "![gold and proxy over the root of the KL](overoptimisation.png)",
)
