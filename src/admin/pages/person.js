// The name under which this person's changes are noted: a claim, and kept by this browser.

const KEY = 'user';
const LONGEST = 60;

export function userName() {
  return localStorage.getItem(KEY) ?? '';
}

// A header holds printable ASCII only.
export function setUserName(name) {
  localStorage.setItem(KEY, name.replace(/[^\x20-\x7e]/g, '').trim().slice(0, LONGEST));
}
