/** Which process is which, in the data directory of a platform on Kafka. */
export const PROCESSES_FILE = 'processes.json'
