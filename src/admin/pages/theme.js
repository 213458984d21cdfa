// Puts on the colours that this browser chose the last time, before anything is painted. Without a choice the system's
// colours hold.

(() => {
  try {
    const chosen = localStorage.getItem('theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser that keeps nothing gets the system's colours.
  }
})();
