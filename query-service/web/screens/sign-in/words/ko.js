export default {
  title: '로그인',
  provider: '로그인',
  development: '개발용입니다. 아무 이름이나 고르세요.',
  user: '이름',
  admin: '관리자로',
  delegate: '다른 사람 대신 예약하는 대리인으로',
  pasteToken: '토큰을 붙여 넣으세요. 페이지를 닫거나 새로 고치면 잊습니다.',
  token: '토큰',
  wrongToken: '서비스가 이 토큰을 받지 않습니다.',
  enter: '계속',
};
