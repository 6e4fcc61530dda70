export default {
  shell: { brand: 'Salas' },
};
