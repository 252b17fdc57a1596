"""The account: one page on what a core costs, beside what it replaces.

`sections` says what the page shows, `model` what a section may ask of the measurements, and
`render` writes it as HTML, Markdown and CSV.
"""
