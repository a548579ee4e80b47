// Every type of hot-shots, once, to the port that is said: node send.js PORT
const StatsD = require('hot-shots');

const plain = { host: '127.0.0.1', port: Number(process.argv[2]), prefix: 'node.', includeDatadogTelemetry: false };
const dogstatsd = new StatsD(plain);
const telegraf = new StatsD({ ...plain, prefix: 'telegraf.', telegraf: true });
const buffered = new StatsD({ ...plain, prefix: 'buffered.', maxBufferSize: 1000 });

dogstatsd.increment('hits');
dogstatsd.increment('hits', 4, { plan: 'free', page: '/a:b' });
dogstatsd.decrement('fallen');
dogstatsd.gauge('level', 12.5);
dogstatsd.gaugeDelta('level', -2.5);
dogstatsd.timing('duration', 320, ['step:pay']);
dogstatsd.histogram('size', 0.5);
dogstatsd.distribution('spread', 0.5);
dogstatsd.set('users', 'ana');
dogstatsd.unique('users', 'ben');
dogstatsd.event('deployed', 'version 7');
dogstatsd.check('database', dogstatsd.CHECKS.OK);
telegraf.increment('hits', 2, { plan: 'free' });
for (let number = 0; number < 50; number += 1) buffered.increment('hits');

dogstatsd.close(() => telegraf.close(() => buffered.close()));
