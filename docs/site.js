// What the theme leaves out for those who don't use a mouse or don't see the page.
document$.subscribe(() => {
  // Tables that scroll by themselves can be reached and scrolled with the keyboard.
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) box.tabIndex = 0
  // Screen readers say what a dialog and a list of buttons are for, and tell one from another.
  for (const dialog of document.querySelectorAll("[role=dialog]:not([aria-label])")) dialog.ariaLabel = "Search"
  document.querySelectorAll(".md-code__nav").forEach((buttons, index) => (buttons.ariaLabel = `Code block ${index + 1}`))
})
