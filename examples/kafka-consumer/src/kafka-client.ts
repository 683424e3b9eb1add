import kafkajs from 'kafkajs'

/**
 * Your own client with its TLS and SASL settings. kafkajs keeps to the first broker that takes its
 * connection: another one comes first each time, and one that is hung is given up after 5 s.
 */
export function kafkaClient(brokers: string): kafkajs.Kafka {
  const list = brokers.split(',')
  let turn = 0
  return new kafkajs.Kafka({
    clientId: 'job-table',
    brokers: () => {
      turn += 1
      return list.map((_, n) => list[(turn + n) % list.length]!)
    },
    connectionTimeout: 2_000,
    requestTimeout: 5_000,
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 2, initialRetryTime: 100 },
  })
}
