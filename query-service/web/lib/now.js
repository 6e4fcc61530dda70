// The present, a signal that changes each minute.

import { signal } from '@preact/signals';

export const now = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, 20_000);

// A tab that slept shows the present when it is seen again.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) now.value = Date.now();
});
