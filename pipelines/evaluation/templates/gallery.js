for (const gallery of document.querySelectorAll(".gallery")) {
  const search = gallery.querySelector(".search");
  const field = search.querySelector("input");
  const told = search.querySelector("output");
  const folded = gallery.querySelector("details");
  const cards = [...gallery.querySelectorAll(".card")];
  const groups = [...gallery.querySelectorAll(".cards")];
  const show = () => {
    // As `data-words` was cut: lower case, no punctuation, signs of scripts without spaces one by one.
    const typed = field.value.normalize("NFC").toLowerCase().replace(/[\u3040-\u30ff\u3400-\u9fff]/g, " $& ");
    const words = typed.split(/[^\p{L}\p{N}\p{M}]+/u).filter(Boolean);
    let left = 0;
    for (const card of cards) {
      card.hidden = !words.every((word) => card.dataset.words.includes(" " + word));
      left += card.hidden ? 0 : 1;
    }
    for (const group of groups) {
      const title = group.previousElementSibling;
      group.hidden = [...group.children].every((card) => card.hidden);
      if (title && title.matches("h3")) title.hidden = group.hidden;
    }
    if (folded && words.length) folded.open = true;
    told.textContent = (words.length ? left + " of " : "") + cards.length + " images";
  };
  field.addEventListener("input", show);
  search.hidden = false;
  show();
}
