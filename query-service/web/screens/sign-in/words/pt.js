export default {
  title: 'Iniciar sessão',
  provider: 'Iniciar sessão',
  development: 'Para desenvolvimento: escolha um nome qualquer.',
  user: 'Nome',
  admin: 'Como administrador',
  delegate: 'Como delegado, que reserva para outros',
  pasteToken: 'Cole um token seu. A página esquece-o quando é fechada ou recarregada.',
  token: 'Token',
  wrongToken: 'O serviço não aceita este token.',
  enter: 'Continuar',
};
