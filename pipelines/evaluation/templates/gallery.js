for (const gallery of document.querySelectorAll(".gallery")) {
  const search = gallery.querySelector(".search");
  const field = search.querySelector("input");
  const told = search.querySelector("output");
  const folded = gallery.querySelector("details");
  const plain = (text) => " " + text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}\p{M}]+/gu, " ") + " ";
  const unspaced = /[\u3040-\u30ff\u3400-\u9fff]/;
  const cards = [...gallery.querySelectorAll(".card")].map((card) => [card, plain(card.querySelector(".said").textContent)]);
  const groups = [...gallery.querySelectorAll(".cards")];
  const show = () => {
    const words = plain(field.value).split(" ").filter(Boolean);
    let left = 0;
    for (const [card, text] of cards) {
      card.hidden = !words.every((word) => text.includes(unspaced.test(word) ? word : " " + word));
      left += card.hidden ? 0 : 1;
    }
    for (const group of groups) {
      const empty = [...group.children].every((card) => card.hidden);
      group.hidden = empty;
      if (group.previousElementSibling) group.previousElementSibling.hidden = empty && group.previousElementSibling.matches("h3");
    }
    if (folded && words.length) folded.open = true;
    told.textContent = (words.length ? left + " of " : "") + cards.length + " images";
  };
  field.addEventListener("input", show);
  search.hidden = false;
  show();
}
