const field = document.getElementById("search");
const lists = [...document.querySelectorAll(".searched")];
function narrow() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const list of lists) {
    let here = 0;
    for (const item of list.children) {
      const text = item.textContent.toLowerCase() + " " + item.dataset.words;
      item.hidden = !words.every((word) => text.includes(word));
      here += item.hidden ? 0 : 1;
    }
    list.previousElementSibling.hidden = here === 0;
    found += here;
  }
  document.querySelector("output").textContent = words.length ? found + " found" : "";
}
field.addEventListener("input", narrow);
narrow();
