// Asks the admin API, and tells what went wrong in its words. The token is kept as long as the tab, nowhere else.

import { askForToken } from './dialogs.js';
import { userName } from './person.js';

const TOKEN = 'token';

// What the API, or the way to it, refused.
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// A document below /api/v1.
export async function get(path, parameters = {}) {
  return (await ask(address(path, parameters))).json();
}

let description = null;

// Whether this relay answers at an address of the API.
export async function has(path) {
  description ??= get('openapi.json').catch(() => ({ paths: {} }));
  return Object.hasOwn((await description).paths, `/api/v1/${path}`);
}

// The bytes of something, as a response to be read.
export function getRaw(path, parameters = {}, options = {}) {
  return ask(address(path, parameters), options);
}

// Asks for a change.
export async function post(path, content = {}) {
  const headers = { 'Content-Type': 'application/json' };
  return (await ask(address(path), { method: 'POST', headers, body: JSON.stringify(content) })).json();
}

// A path is a text, or its segments where one of them is an id or a name: there may be anything in it.
function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value != null && value !== '');
  const query = new URLSearchParams(given).toString();
  const segments = typeof path === 'string' ? path : path.map(encodeURIComponent).join('/');
  return `/api/v1/${segments}${query ? `?${query}` : ''}`;
}

async function ask(url, options = {}) {
  const answer = await attempt(url, options);
  if (answer.status !== 401) return checked(answer);
  await newToken(sessionStorage.getItem(TOKEN));
  return ask(url, options);
}

async function attempt(url, options) {
  const [token, name] = [sessionStorage.getItem(TOKEN), userName()];
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (name) headers['X-Relay-User'] = name;
  try {
    return await fetch(url, { ...options, headers, cache: 'no-store', redirect: 'error' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'The relay can’t be reached. It may be restarting.');
  }
}

async function checked(answer) {
  if (answer.ok) return answer;
  let detail = `The relay answered ${answer.status}.`;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch {
    // Whatever stands between answered, and has no words for us.
  }
  throw new Problem(answer.status, detail);
}

let asking = null;

// Gets a token from the person in front of the screen: once, however many requests need it.
async function newToken(refused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return;
  asking ??= askForToken(refused !== null).then((token) => {
    sessionStorage.setItem(TOKEN, token);
    asking = null;
  });
  await asking;
}
