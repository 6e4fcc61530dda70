export default {
  shell: { brand: '회의실' },
};
