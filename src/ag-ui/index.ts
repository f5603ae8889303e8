export { TidingsAgent } from './tidings-agent.ts'
