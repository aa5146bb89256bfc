// WhatsApp's own formatting as nodes: *bold* _italic_ ~strike~ `code`, blocks, quotes, lists. Never as HTML.
// A mark counts at the edge of a word only: 2*3*4 and snake_case_name stay as they are.
const INLINE = /(`[^`\n]+`|(?<![\w*])\*[^*\s](?:[^*\n]*[^*\s])?\*(?![\w*])|(?<!\w)_[^_\s](?:[^_\n]*[^_\s])?_(?!\w)|(?<![\w~])~[^~\s](?:[^~\n]*[^~\s])?~(?![\w~])|https?:\/\/[^\s<>]*[^\s<>.,;:!?)])/;
const TAGS = { "*": "strong", _: "em", "~": "s" };

function inline(text, into) {
  for (const piece of text.split(INLINE)) {
    if (!piece) continue;
    const tag = piece.length > 2 && piece[0] === piece.at(-1) ? TAGS[piece[0]] : undefined;
    if (tag) inline(piece.slice(1, -1), into.appendChild(document.createElement(tag)));
    else if (piece.startsWith("`") && piece.endsWith("`") && piece.length > 2)
      into.appendChild(document.createElement("code")).textContent = piece.replace(/^`+|`+$/g, "");
    else if (/^https?:\/\//.test(piece)) link(piece, into);
    else into.append(piece);
  }
  return into;
}

function link(address, into) {
  const node = into.appendChild(document.createElement("a"));
  node.textContent = address;
  node.href = address;
  node.rel = "noopener noreferrer";
  node.target = "_blank";
}

// What stands as it is, and Markdown's marks: strong, emphasis, strike, a heading, a link.
const MARKDOWN = /(```[\s\S]*?```|`[^`\n]+`)|(?:\*\*(?=\S)(.+?)\*\*|__(?=\S)(.+?)__(?!\w))|(?<![\w*])\*([^*\s](?:[^*\n]*[^*\s])?)\*(?![\w*])|~~(?=\S)(.+?)~~|^#{1,6} +(.+?)[ #]*$|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/gm;

// Markdown in WhatsApp's marks, for `blocks`. Over WhatsApp the server does that, more thoroughly.
export function fromMarkdown(text) {
  return text.replace(MARKDOWN, (found, code, strong, alike, em, strike, heading, words, address) => {
    if (code) return code;
    if (strong || alike || heading) return `*${strong || alike || heading.replace(/\*\*/g, "")}*`;
    if (em) return `_${em}_`;
    if (strike) return `~${strike}~`;
    return `${words} (${address})`;
  });
}

const KINDS = [
  ["quote", /^> ?/, "blockquote"],
  ["bullet", /^[-*] /, "ul"],
  ["number", /^\d+\. /, "ol"],
];

// The text of one bubble as a list of block nodes.
export function blocks(text) {
  const made = [];
  const parts = text.split("```");
  if (parts.length % 2 === 0) parts.push([parts.pop(), parts.pop()].reverse().join("```")); // one that is never closed
  parts.forEach((part, index) => {
    if (index % 2) {
      const block = document.createElement("pre");
      block.textContent = part.replace(/^\n|\n$/g, "");
      made.push(block);
    } else made.push(...paragraphs(part.replace(/^\n|\n$/g, "")));
  });
  return made;
}

function paragraphs(text) {
  const made = [];
  let open = null;
  for (const line of text ? text.split("\n") : []) {
    const [kind, mark, tag] = KINDS.find(([, pattern]) => pattern.test(line)) || ["plain", /^/, "p"];
    if (open?.kind !== kind) {
      open = { kind, node: document.createElement(tag), lines: 0 };
      if (tag === "ol") Object.assign(open.node, { className: "list", start: parseInt(line, 10) });
      made.push(open.node);
    }
    const words = line.replace(mark, "");
    if (tag === "ul" || tag === "ol") inline(words, open.node.appendChild(document.createElement("li")));
    else {
      if (open.lines++) open.node.append(tag === "p" ? "\n" : document.createElement("br"));
      inline(words, open.node);
    }
  }
  return made;
}
