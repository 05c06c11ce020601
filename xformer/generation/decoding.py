"""A batch that is being generated: its cache, and the logits of the next tokens.

Shapes: G groups (sources) of W hypotheses each, K columns: the vocabulary, or the batch's shortlist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xformer.generation.shortlist import Shortlist
from xformer.model.packed import pack
from xformer.model.seq2seq import Seq2Seq

LEAVE_SHARE = 0.125
"""Groups that are done leave the batch together, when they are this share of it: to leave costs a copy."""


class Decoding:
    """A batch of sources whose targets are being generated.

    Attributes:
        groups: of each group in the batch, its number among the sources.
        logits: (G·W, K) of the next token of each hypothesis.
    """

    def __init__(
        self,
        model: Seq2Seq,
        sources: Sequence[Sequence[int]],
        prefixes: Sequence[Sequence[int]],
        *,
        suppress: Sequence[int] = (),
        shortlist: Shortlist | None = None,
        coverage: bool = False,
    ) -> None:
        """Read the sources and the forced prefixes.

        Args:
            model: in evaluation mode.
            sources: token ids, as the model was trained to read them.
            prefixes: token ids that each target begins with.
            suppress: ids that are never generated.
            shortlist: which tokens may stand in the target of a source; None for all.
            coverage: keep how much of each source has been attended to.
        """
        self.model, self.groups = model, list(range(len(sources)))
        table = model.target_table.weight
        self._output: Callable[[Tensor], Tensor] = model.logits
        self._columns: Tensor | None = None
        self._hidden_columns: Tensor | None = None
        self._suppressed = torch.tensor(suppress, dtype=torch.int64, device=table.device)
        if shortlist is not None:
            self._restrict(shortlist, sources, suppress)
        packed = pack(sources, table.device, sort=False)
        self.cache = model.decoder.cache(model.encoder(packed), packed)
        self.cache.track_coverage(coverage)
        starts = [[model.end_id, *prefix] for prefix in prefixes]
        counts = [len(start) for start in starts]
        tokens = torch.tensor([token for start in starts for token in start], device=table.device)
        hidden = model.decoder.extend(tokens, self.cache, table=model.target_table, counts=counts)
        last = torch.tensor(counts, device=table.device).cumsum(0) - 1
        self.logits = self._logits(hidden.index_select(0, last))

    @property
    def n_hypotheses(self) -> int:
        """W."""
        return self.cache.n_beams

    def tokens(self, columns: Tensor) -> Tensor:
        """The token ids of columns of the logits."""
        return columns if self._columns is None else self._columns[columns]

    def expand(self, n_hypotheses: int) -> None:
        """Make W hypotheses of each group's only one; see `DecoderCache.expand`. The logits stay (G, K)."""
        self.cache.expand(n_hypotheses)

    def advance(self, tokens: Tensor, parents: Tensor | None = None) -> None:
        """Give each hypothesis its next token.

        Args:
            tokens: (G, W) int64 ids.
            parents: (G, W) int64, of each hypothesis the one of its group that it goes on from; None for
                itself.
        """
        if parents is not None:
            self.cache.reorder(parents)
        hidden = self.model.decoder.extend(tokens.flatten(), self.cache, table=self.model.target_table)
        self.logits = self._logits(hidden)

    def keep(self, places: Sequence[int]) -> None:
        """Keep the groups at these places in the batch alone; the logits are gone until `advance`."""
        self.groups = [self.groups[place] for place in places]
        self.cache.keep(places)
        if self._hidden_columns is not None:
            self._hidden_columns = self._hidden_columns[list(places)]

    def may_leave(self, n_done: int) -> bool:
        """Whether so many groups that are done should leave."""
        return n_done > 0 and n_done >= LEAVE_SHARE * len(self.groups)

    def coverage_penalty(self) -> Tensor:
        """Σ_i log min(Σ_j a_ij, 1) over the tokens of the source, (G, W); -inf where one was not seen."""
        covered = self.cache.coverage
        if covered is None:
            raise ValueError("coverage: expected to be tracked")
        per_token = covered.clamp(max=1.0).log()
        return per_token.masked_fill(~self.cache.memory_seen[:, None], 0.0).sum(-1)

    def _logits(self, hidden: Tensor) -> Tensor:
        logits = self._output(hidden)
        if self._hidden_columns is not None:
            logits = logits.view(len(self.groups), -1, logits.shape[1]) + self._hidden_columns[:, None]
            return logits.flatten(0, 1)
        if len(self._suppressed):
            logits.index_fill_(1, self._suppressed, -torch.inf)
        return logits

    def _restrict(
        self, shortlist: Shortlist, sources: Sequence[Sequence[int]], suppress: Sequence[int]
    ) -> None:
        """Keep the columns that some source of the batch may have; others' are hidden from each source.

        Otherwise what a source becomes would depend on its neighbours.
        """
        table = self.model.target_table.weight
        device = table.device
        lists = [shortlist.of(source) for source in sources]
        ids = torch.from_numpy(shortlist.union(lists)).to(device)
        hidden = torch.full((len(sources), len(ids)), -torch.inf, dtype=table.dtype, device=device)
        for row, its in enumerate(lists):
            hidden[row, torch.searchsorted(ids, torch.from_numpy(its).to(device))] = 0.0
        for token in suppress:
            hidden[:, ids == token] = -torch.inf
        self._columns, self._hidden_columns = ids, hidden
        self._output = self.model.output.of_rows(ids, table)
