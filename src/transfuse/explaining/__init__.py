"""Why a tagger labels a span: attributions to words, on the span's log-odds."""
