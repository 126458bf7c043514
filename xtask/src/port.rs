//! TCP ports of this machine: a free one, whether one is taken, and by whom.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

pub fn any_free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Why the port cannot be listened on, or `None` when it can.
pub fn refusal(port: u16) -> Option<std::io::Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()
}

/// The listener's number and command line, as far as this account may see them.
pub fn listener(port: u16) -> Option<String> {
    if cfg!(target_os = "linux") { listener_by_proc(port) } else { listener_by_lsof(port) }
}

fn listener_by_proc(port: u16) -> Option<String> {
    let socket = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| listening_socket(table, port))?;
    let link = format!("socket:[{socket}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let owner = numbers.find(|pid| has_open(*pid, &link))?;
    let command = crate::process::command_line(owner).unwrap_or_default();
    Some(format!("process {owner} ({})", command.chars().take(120).collect::<String>()))
}

/// Lines look like `0: 0100007F:1F90 00000000:0000 0A … inode`, where 0A means listening.
fn listening_socket(table: &str, port: u16) -> Option<String> {
    let text = std::fs::read_to_string(table).ok()?;
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, hexadecimal) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(hexadecimal, 16).ok()? == port;
        if listens { fields.get(9).map(|inode| (*inode).to_owned()) } else { None }
    })
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link))
}

fn listener_by_lsof(port: u16) -> Option<String> {
    let filter = format!("-iTCP:{port}");
    let output = std::process::Command::new("lsof").args(["-nP", "-Fpc", "-sTCP:LISTEN", &filter]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pid = text.lines().find_map(|line| line.strip_prefix('p'))?;
    let name = text.lines().find_map(|line| line.strip_prefix('c')).unwrap_or("unknown");
    Some(format!("process {pid} ({name})"))
}
