// Templates: `html` makes elements of tagged template text.

import { h } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);
