// How fast things go: what was added to the totals of the relay between several looks at it.

// Over how long a rate is taken, in milliseconds: shorter ones are restless, longer ones late.
const WINDOW = 30_000;

let looks = [];

// Takes a status in, and returns what tells rates up to it: `rate(total)` is what was added to `total(status)` in a second, or
// `null` after the first look. Totals begin at 0 with each start of the relay.
export function paceAt(status) {
  const millis = Date.parse(status.now);
  const isOfUse = (look) => look.status.started_at === status.started_at && look.millis < millis && look.millis >= millis - WINDOW;
  looks = [...looks.filter(isOfUse), { millis, status }];
  const [first] = looks;
  return (total) => (first.millis === millis ? null : Math.max(0, (1000 * (total(status) - total(first.status))) / (millis - first.millis)));
}

// What has come for a destination: where it is now. What was sent again counts anew.
export const arrived = (one) => one.waiting + one.delivered_total + one.dead + one.expired;
