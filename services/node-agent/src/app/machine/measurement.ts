import { installedDeviceTools } from '../../adapters/os/device-tools.ts'
import { OsReadings } from '../../adapters/os/readings.ts'
import type { NodeConfig } from '../../core/config.ts'
import type { Measurement } from '../agent/agent.ts'
import { AgentTelemetry, type AgentTelemetryOptions } from '../telemetry/agent-telemetry.ts'

/** Measures this machine with the tools that are installed. */
export function openMeasurement(
  config: NodeConfig,
  ports: Omit<AgentTelemetryOptions, 'config' | 'machine' | 'tools'>,
): Measurement {
  const machine = new OsReadings(ports.clock)
  const tools = installedDeviceTools(config.dcgmUrl)
  return new AgentTelemetry({ ...ports, config, machine, tools })
}
