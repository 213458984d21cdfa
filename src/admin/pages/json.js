// Lays JSON out for reading. It adds and removes nothing but the space between values: numbers, escapes and keys that stand
// there twice are shown as they came. A text that is no JSON is shown as it is.

const INDENT = '  ';
// Strangers may nest deeper than anybody reads.
const DEEPEST_INDENT = 30;
// Strings, brackets and colons, and what else stands between two of them.
const PARTS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

export function laidOut(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return withLines(text.match(PARTS) ?? []);
}

function withLines(parts) {
  const lines = [];
  let depth = 0;
  const newLine = () => `\n${INDENT.repeat(Math.min(depth, DEEPEST_INDENT))}`;
  parts.forEach((part, place) => {
    const isEmpty = '}]'.includes(part) && '{['.includes(parts[place - 1]);
    if ('{['.includes(part)) {
      depth += 1;
      lines.push(part, '}]'.includes(parts[place + 1]) ? '' : newLine());
    } else if ('}]'.includes(part)) {
      depth -= 1;
      lines.push(isEmpty ? '' : newLine(), part);
    } else if (part === ',') {
      lines.push(part, newLine());
    } else {
      lines.push(part === ':' ? ': ' : part);
    }
  });
  return lines.join('');
}
