export default {
  title: 'Sign in',
  provider: 'Sign in',
  development: 'For development: choose any name.',
  user: 'Name',
  admin: 'As administrator',
  delegate: 'As delegate, who books for others',
  pasteToken: 'Paste a token of yours. The page forgets it when it is closed or reloaded.',
  token: 'Token',
  wrongToken: 'The service does not take this token.',
  enter: 'Continue',
};
