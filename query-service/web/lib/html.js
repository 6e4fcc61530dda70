// Templates: `html` makes elements of tagged template text.

import htm from 'htm';
import { h } from 'preact';

export const html = htm.bind(h);
